//! The soft-float, integer and date shaders on every Vulkan adapter, against the machine.
//!
//! `TIDEMILL_NO_GPU=1` skips them, visibly; `TIDEMILL_SHADER_CASES=N` sets the pairs per function (default 2^20).

mod arithmetic;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use arithmetic::{Class, Operation, Out, ROW_OF_WORKGROUPS, describe, lean_shader, operations, pairs, shader};

const NO_ADAPTER: &str = "no Vulkan adapter found: install a driver, e.g. the software driver lavapipe \
     (Debian and Ubuntu: apt install mesa-vulkan-drivers), or set TIDEMILL_NO_GPU=1 to skip the shader tests";

struct Device {
    name: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
}

/// Every Vulkan adapter there is; none where the environment says so.
fn devices() -> Vec<Device> {
    if std::env::var("TIDEMILL_NO_GPU").is_ok_and(|value| value == "1") {
        eprintln!("SKIPPED: TIDEMILL_NO_GPU=1, so no shader was run");
        return Vec::new();
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    assert!(!adapters.is_empty(), "{NO_ADAPTER}");
    adapters
        .into_iter()
        .map(|adapter| {
            let name = adapter.get_info().name;
            let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
                required_limits: wgpu::Limits::downlevel_defaults(),
                ..wgpu::DeviceDescriptor::default()
            }))
            .unwrap_or_else(|error| panic!("cannot open {name}: {error}"));
            Device { name, device, queue }
        })
        .collect()
}

/// The operands of a class on a device.
struct Operands {
    pairs: Vec<(u128, u128)>,
    a: wgpu::Buffer,
    b: wgpu::Buffer,
}

impl Device {
    fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    }

    fn upload(&self, class: Class, count: usize) -> Operands {
        let pairs = pairs(class, 20_240 + class as u64, count);
        let make = |side: fn(&(u128, u128)) -> u128| {
            let values: Vec<u128> = pairs.iter().map(side).collect();
            let buffer = self.buffer(16 * count as u64, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST);
            self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&values));
            buffer
        };
        let (a, b) = (make(|pair| pair.0), make(|pair| pair.1));
        Operands { pairs, a, b }
    }

    /// A kernel's pipeline with its buffers bound in order.
    fn pipeline(&self, text: String, buffers: &[&wgpu::Buffer]) -> (wgpu::ComputePipeline, wgpu::BindGroup) {
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let layout = &pipeline.get_bind_group_layout(0);
        let entries = &entries;
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries });
        (pipeline, group)
    }

    /// Runs a kernel over `count` cases once; how long it took.
    fn dispatch(&self, (pipeline, group): &(wgpu::ComputePipeline, wgpu::BindGroup), count: usize) -> Duration {
        let rows = count.div_ceil(64 * ROW_OF_WORKGROUPS as usize) as u32;
        self.wait();
        let start = Instant::now();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(ROW_OF_WORKGROUPS, rows, 1);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        self.wait();
        start.elapsed()
    }

    fn wait(&self) {
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device is alive");
    }

    /// The operation's results for all operands.
    fn run(&self, operation: &Operation, operands: &Operands) -> Vec<Out> {
        let count = operands.pairs.len() as u64;
        let out = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let back = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let (v, ok) = (self.buffer(16 * count, out), self.buffer(4 * count, out));
        let (v_back, ok_back) = (self.buffer(16 * count, back), self.buffer(4 * count, back));
        self.dispatch(&self.pipeline(shader(operation), &[&operands.a, &operands.b, &v, &ok]), operands.pairs.len());
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&v, 0, &v_back, 0, 16 * count);
        encoder.copy_buffer_to_buffer(&ok, 0, &ok_back, 0, 4 * count);
        self.queue.submit([encoder.finish()]);
        v_back.map_async(wgpu::MapMode::Read, .., |result| result.expect("results can be mapped"));
        ok_back.map_async(wgpu::MapMode::Read, .., |result| result.expect("results can be mapped"));
        self.wait();
        let words = |buffer: &wgpu::Buffer| -> Vec<u32> {
            let view = buffer.slice(..).get_mapped_range().expect("results are mapped");
            bytemuck::pod_collect_to_vec(&view)
        };
        let (v, ok) = (words(&v_back), words(&ok_back));
        v.chunks_exact(4).zip(&ok).map(|(v, &ok)| [v[0], v[1], v[2], v[3], ok]).collect()
    }
}

#[test]
fn shaders_agree_with_the_machine() {
    let count = std::env::var("TIDEMILL_SHADER_CASES").map_or(1 << 20, |n| n.parse().expect("a number of cases"));
    for device in devices() {
        let start = Instant::now();
        let mut operands = HashMap::new();
        let mut cases = 0;
        for operation in operations() {
            let operands = operands.entry(operation.class).or_insert_with(|| device.upload(operation.class, count));
            let outs = device.run(&operation, operands);
            for (&(a, b), &got) in operands.pairs.iter().zip(&outs) {
                if got != (operation.expect)(a, b) {
                    panic!("{}: {}", device.name, describe(&operation, a, b, got));
                }
            }
            cases += outs.len();
        }
        println!("{}: {cases} cases in {:.0?}", device.name, start.elapsed());
    }
}

#[test]
#[ignore = "a measurement: cargo test --release --test softfloat_shader rates -- --ignored --nocapture"]
fn rates() {
    const COUNT: usize = 1 << 23;
    for device in devices() {
        println!("{}: million results per second, from memory to memory, and the first run", device.name);
        let in_words = |operation: &Operation| matches!(operation.class, Class::F | Class::FF | Class::I | Class::Ud);
        for operation in operations().iter().filter(|operation| in_words(operation)) {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            let [a, b, v] = [0; 3].map(|_| device.buffer(8 * COUNT as u64, usage));
            let pairs = pairs(operation.class, 1, COUNT);
            let words = |side: fn(&(u128, u128)) -> u64| -> Vec<u64> { pairs.iter().map(side).collect() };
            device.queue.write_buffer(&a, 0, bytemuck::cast_slice(&words(|pair| pair.0 as u64)));
            device.queue.write_buffer(&b, 0, bytemuck::cast_slice(&words(|pair| pair.1 as u64)));
            let bound = device.pipeline(lean_shader(operation), &[&a, &b, &v]);
            let first = device.dispatch(&bound, COUNT);
            let best = (0..5).map(|_| device.dispatch(&bound, COUNT)).min().unwrap_or(first);
            println!("  {:24}{:8.1}   {first:.1?}", operation.name, COUNT as f64 / best.as_secs_f64() / 1e6);
        }
    }
}
